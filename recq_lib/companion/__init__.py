"""The book on top of the library: studies, published numbers, analysis, figures, exercises, notebook tools, benchmarks, runner.
The library never imports it."""
