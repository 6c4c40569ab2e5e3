-- Who said that it works again, where a person did: an id of the customer's people, or what somebody calls themselves.
alter table incidents add column hinted_by text;
