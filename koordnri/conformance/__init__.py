"""Whether an NRI plugin does what a runtime expects: any executable, in any language, against a runtime that makes things hard for it."""
