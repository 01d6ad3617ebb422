"""The CDK app: stacks by lifetime, one construct per thing, state machines as ASL files, layers."""
