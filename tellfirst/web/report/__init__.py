"""The report as a file: what telling first did, to read, print and pass on."""
