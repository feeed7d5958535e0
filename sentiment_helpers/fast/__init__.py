"""The same results, sooner. Each file names its plain twin; read this folder last."""
