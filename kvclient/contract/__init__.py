"""What both sides agree on: errors, rules, operations, the wire, ZMTP, endpoints. All that kvd imports of kvclient,
`kvclient.screen` aside.
"""
