using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Skep.Bpf.Programming;

/// <summary>
/// What was found out about types and methods, for as long as their assembly is loaded: one that can be unloaded (scripts, plug-ins, generated programs) is not kept
/// from it. The others are kept for good, for nothing else keeps the objects that reflection makes of methods.
/// </summary>
internal sealed class MemberCache<TKey, TValue>(Func<TKey, TValue> find)
    where TKey : MemberInfo
{
    private readonly ConcurrentDictionary<TKey, TValue> _lasting = new();
    private readonly ConditionalWeakTable<TKey, StrongBox<TValue>> _passing = [];

    /// <summary>What is known of the member; found out the first time. May be asked by several threads, and may find out twice then.</summary>
    public TValue Of(TKey member) =>
        _lasting.TryGetValue(member, out var known) ? known
        : member.IsCollectible ? _passing.GetValue(member, m => new StrongBox<TValue>(find(m))).Value!
        : _lasting.GetOrAdd(member, find);
}
