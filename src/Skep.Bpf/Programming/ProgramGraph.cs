using System.Reflection;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programming;

/// <summary>
/// What a program's object reaches through its fields. The compiler, the loader and the twin all walk it here,
/// so that a map has the same name in the kernel, in a pin and in a test.
/// </summary>
public static class ProgramGraph
{
    private static readonly MemberCache<Type, bool> s_holdsReferences = new(static t => InstanceFields(t).Any(f => HoldsReferences(f.FieldType)));

    /// <summary>
    /// The maps of <paramref name="program"/> in the order of its fields, base classes first, each once: those in its own fields and in the fields of the
    /// objects, structs, arrays and immutable arrays it holds. A map without a name gets that of the first field it was found in:
    /// <c>_blockList</c> becomes <c>blockList</c>. When two maps of a program would share a name, the later one is prefixed with the
    /// field of the object that holds it (<c>ingress_entries</c>). Programs in a <see cref="ProgramArray"/> belong to the graph.
    /// </summary>
    public static IReadOnlyList<BpfMap> Maps(BpfProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        var walk = new Walk();
        walk.Program(program);
        return walk.Found;
    }

    /// <summary>Name of a map after the field that holds it: without underscores in front and what C# puts around backing fields, first letter small.</summary>
    internal static string NameOf(string field)
    {
        // '<Name>k__BackingField' is an automatic property, '<name>P' a captured primary constructor parameter.
        if (field.StartsWith('<') && field.IndexOf('>') is > 1 and var close)
        {
            field = field[1..close];
        }

        field = field.TrimStart('_');
        return field.Length == 0 ? "map" : char.ToLowerInvariant(field[0]) + field[1..];
    }

    private static bool HoldsReferences(Type type)
    {
        if (type.IsPrimitive || type.IsEnum || type.IsPointer || type.IsFunctionPointer || type == typeof(string))
        {
            return false;
        }

        if (!type.IsValueType)
        {
            return true;
        }

        return s_holdsReferences.Of(type);
    }

    private static FieldInfo[] InstanceFields(Type type) => [.. type
        .GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
        .OrderBy(f => f.MetadataToken)];

    /// <summary>Objects of the framework (clocks, loggers, tasks) hold no maps, and their graphs are large.</summary>
    private static bool IsForeign(Type type) =>
        typeof(Delegate).IsAssignableFrom(type) || typeof(MemberInfo).IsAssignableFrom(type)
        || (type.Namespace is { } space && !type.IsValueType
            && (space == "System" || space.StartsWith("System.", StringComparison.Ordinal) || space.StartsWith("Microsoft.", StringComparison.Ordinal)));

    private sealed class Walk
    {
        private readonly HashSet<object> _seen = new(ReferenceEqualityComparer.Instance);
        private readonly HashSet<string> _names = new(StringComparer.Ordinal);

        public List<BpfMap> Found { get; } = [];

        public void Program(BpfProgram program)
        {
            if (_seen.Add(program))
            {
                Fields(program, program.GetType(), "");
            }
        }

        public void Fields(object holder, Type type, string path)
        {
            if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType))
            {
                Fields(holder, parent, path);
            }

            foreach (var field in InstanceFields(type))
            {
                if (HoldsReferences(field.FieldType) && field.GetValue(holder) is { } value)
                {
                    Visit(value, NameOf(field.Name), path);
                }
            }
        }

        private void Visit(object value, string name, string path)
        {
            RuntimeHelpers.EnsureSufficientExecutionStack();
            var type = value.GetType();
            if (value is BpfMap map)
            {
                Add(map, name, path);
            }
            else if (!HoldsReferences(type) || (!type.IsValueType && !_seen.Add(value)))
            {
                return;
            }
            else if (value is Array array)
            {
                if (HoldsReferences(type.GetElementType()!))
                {
                    Elements(array, name, path);
                }
            }
            else if (type is { IsGenericType: true, Namespace: "System.Collections.Immutable", Name: "ImmutableArray`1" })
            {
                // Its one field is called 'array'; the name of the field that holds it says more.
                var inner = InstanceFields(type)[0].GetValue(value);
                if (inner is not null)
                {
                    Visit(inner, name, path);
                }
            }
            else if (!IsForeign(type))
            {
                Fields(value, type, name);
            }
        }

        private void Elements(Array array, string name, string path)
        {
            foreach (var element in array)
            {
                if (element is not null)
                {
                    Visit(element, name, path);
                }
            }
        }

        private void Add(BpfMap map, string name, string path)
        {
            if (!_seen.Add(map))
            {
                return;
            }

            Found.Add(map);
            Name(map, name, path);

            // Programs that are called from this one run with it, and use its maps.
            foreach (var program in (map as ProgramArray)?.Programs ?? [])
            {
                if (program is not null)
                {
                    Program(program);
                }
            }
        }

        private void Name(BpfMap map, string name, string path)
        {
            if (map.Name.Length != 0)
            {
                _names.Add(map.Name);
                return;
            }

            if (_names.Contains(name) && path.Length != 0)
            {
                name = path + "_" + name;
            }

            var unique = name;
            for (var number = 2; !_names.Add(unique); number++)
            {
                unique = name + number;
            }

            map.Name = unique;
        }
    }
}
