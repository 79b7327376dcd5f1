"""Everything that talks to another system: DVC, MLflow, Label Studio."""
