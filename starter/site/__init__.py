"""The pages for staff: one file a page, its template in templates/pages/site/. CONTRIBUTING.md says how to add one."""
