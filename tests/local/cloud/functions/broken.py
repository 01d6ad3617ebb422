raise RuntimeError("cannot be loaded")


def main(event, context):
    return None
