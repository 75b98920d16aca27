"""What a user starts: the study, the report, known-answer cases, the command line."""
