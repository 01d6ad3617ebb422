"""Making a catalogue anew."""
