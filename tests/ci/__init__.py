"""The CI systems: what their pipelines call, and each system's own files on recording fakes."""
