"""Many panels behind one MQTT broker: its configuration, and the service that works through what is queued for them."""
