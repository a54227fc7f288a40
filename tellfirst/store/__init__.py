"""The only place that knows SQL of our own database: tables, migrations, one small class per noun."""
