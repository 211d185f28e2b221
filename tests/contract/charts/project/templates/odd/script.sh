{{ greeting }} from {{ release.name }} in {{ release.namespace }}
{% for word in values.words %}
- {{ word }}{% if word == "x" %} is x{% endif %}

{% endfor %}
{% if values.lit %}

  indented, after an empty line
{% endif %}
{% for name, value in values.table | dictsort -%}
{{ name }}={{ value }};
{%- endfor %}

{% if values.maybe is not none -%}
maybe={{ values.maybe }}
{% else -%}
never
{% endif -%}
{% for port in values.ports %}{{ port.name }}:{{ port.port }}{% if port.extra is defined %}({{ port.extra }}){% endif %} {% endfor %}

end
