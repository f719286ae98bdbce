"""The pages. They read the form, call a service and show what it answered; rules live in the services."""
