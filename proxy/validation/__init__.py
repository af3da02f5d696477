"""Whether values of a snapshot can be used: asked by the translation before it publishes them, and by a
worker before it compiles them. Pure; says nothing about any one data plane but what HTTP says itself.
"""
