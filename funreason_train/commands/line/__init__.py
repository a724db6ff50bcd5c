"""What stands on the command line: its options, what they load, where the record goes, what comes next."""
