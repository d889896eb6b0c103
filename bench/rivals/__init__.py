"""The gateways beside which Latchkey is measured, each in front of the same upstream.

nginx and Envoy check the key against one fixed value in memory: no identities, limits or ledger.
LiteLLM checks its master key and keeps no database. Portkey and MLflow's gateway check no key at
all. So each does less than Latchkey does.
"""
