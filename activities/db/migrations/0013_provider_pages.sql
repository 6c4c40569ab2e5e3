-- Everything that is connected to one provider.
create index integration_health_by_type on integration_health (integration_type, customer_id);
