"""
The whole promise in one run: back up, prove, lose, restore and prove again a real database.

    seed      the application's database (`schema.sql`, `rows.sql`, `keys.sql`)
    writer    the application, which keeps writing meanwhile
    witness   counts and digests that owe nothing to the functions under test
    stage     the server and the local system that it plays on
    story     the steps
    timeline  how long each took
    report    what happened, as data
    screen    what happened, in the terminal
    page      what happened, as one HTML file
"""
