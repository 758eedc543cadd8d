"""Lightning: modules, metrics, callbacks, loggers."""
