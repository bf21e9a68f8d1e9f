-- Tell which of some functions the role may not call.
select function
from unnest(%(functions)s::text[]) function
where not has_function_privilege(function, 'execute')
