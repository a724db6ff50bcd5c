"""BFCL's environments, with bfcl-eval installed: its classes, run in processes of their own under limits."""
