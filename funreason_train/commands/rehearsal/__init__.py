"""`pipeline rehearse=true`: a recipe for a cluster, run small on hosts that this machine plays."""
