"""What Holdfast knows about backups, as pure values and rules: standard library only, no clock, no I/O."""
