"""
The operator's command, `holdfast`.

    main       the command line: options, commands, and what an error becomes
    commands   one file per command
    system     one deployed Holdfast, in AWS or on this machine, and its clients
    runs       executions of the state machines: start, look, list
    steps      how far an execution has come, from its history
    watch      show that while it runs
    reports    what the report of a restore says beyond its sentence
    failures   what made an execution fail, as an error of our tree
    exits      exit codes
    words      sizes, ages, durations and states as people read them
    screen     output for people and for programs
"""
