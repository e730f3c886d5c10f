using System.Reflection;

namespace Skep.Tests.Structure;

/// <summary>
/// A struct without equality of its own is compared by reflection and hashed by its first field alone: a dictionary of a few thousand flows then keeps a core busy.
/// </summary>
public sealed class CollectionKeyTests
{
    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly HashSet<Type> s_keyed =
    [
        typeof(Dictionary<,>), typeof(HashSet<>), typeof(System.Collections.Concurrent.ConcurrentDictionary<,>),
        typeof(System.Collections.Immutable.ImmutableDictionary<,>), typeof(System.Collections.Frozen.FrozenDictionary<,>), typeof(System.Collections.Frozen.FrozenSet<>),
    ];

    [Theory]
    [InlineData("Skep")]
    [InlineData("Skep.Agent")]
    [InlineData("Skep.Bpf")]
    [InlineData("Skep.Bpf.Compiler")]
    [InlineData("Skep.Bpf.Twin")]
    [InlineData("Skep.Packets")]
    public void Structs_that_are_keys_compare_themselves(string assembly)
    {
        var slow = Assembly.Load(assembly).GetTypes()
            .SelectMany(t => TypesUsedBy(t).SelectMany(WithArguments).Where(IsKeyed).Select(c => (User: t, Key: c.GetGenericArguments()[0])))
            .Where(u => FindIncomparable(u.Key) is not null)
            .Select(u => $"{u.User} uses {u.Key} as key, and {FindIncomparable(u.Key)} is no IEquatable")
            .Distinct();

        Assert.Empty(slow);
    }

    [Fact]
    public void A_struct_without_equality_is_found()
    {
        Assert.Equal(typeof(Plain), FindIncomparable(typeof(Plain)));
        Assert.Equal(typeof(Plain), FindIncomparable(typeof((int, Plain))));
        Assert.Null(FindIncomparable(typeof((int, string))));
    }

    private static bool IsKeyed(Type type) => type.IsGenericType && s_keyed.Contains(type.GetGenericTypeDefinition());

    private static IEnumerable<Type> TypesUsedBy(Type type)
    {
        var fields = type.GetFields(Everything).Select(f => f.FieldType);
        var locals = type.GetMethods(Everything).Cast<MethodBase>().Concat(type.GetConstructors(Everything))
            .SelectMany(m => m.GetMethodBody()?.LocalVariables.Select(l => l.LocalType) ?? []);
        return fields.Concat(locals);
    }

    private static IEnumerable<Type> WithArguments(Type type) =>
        type.IsGenericType ? type.GetGenericArguments().SelectMany(WithArguments).Prepend(type) : [type];

    // A tuple and a record struct are as good as what they are made of.
    private static Type? FindIncomparable(Type key)
    {
        key = Nullable.GetUnderlyingType(key) ?? key;
        if (!key.IsValueType || key.IsEnum || key.IsPrimitive || key.IsGenericParameter)
        {
            return null;
        }

        return key.GetInterfaces().Contains(typeof(IEquatable<>).MakeGenericType(key))
            ? key.GetFields(Everything).Where(f => !f.IsStatic && f.FieldType != key).Select(f => FindIncomparable(f.FieldType)).FirstOrDefault(t => t is not null)
            : key;
    }

    private struct Plain
    {
        public int Number { get; set; }
    }
}
