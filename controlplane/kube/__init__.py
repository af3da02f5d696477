"""The only code that talks to an API server: client, reflectors, leader election, Events, status patches."""
