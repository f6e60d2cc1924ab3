"""`mlops bootstrap`: connect this repository, its identities and environments to Azure."""
