-- Whether the call reached a process of the plugin. One that did not has run nothing of it, and owes it nothing.
ALTER TABLE hook_calls ADD COLUMN reached BOOLEAN NOT NULL DEFAULT TRUE;
