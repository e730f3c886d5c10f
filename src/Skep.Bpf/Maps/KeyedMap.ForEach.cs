using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>Walking over a map inside a program.</summary>
public abstract unsafe partial class KeyedMap<TKey, TValue>
{
    /// <summary>
    /// Program side: calls <paramref name="visit"/> for every entry, in any order, until it says <see cref="LoopControl.Break"/>
    /// (<c>bpf_for_each_map_elem</c>, kernel 5.13). For arrays and hash tables, per-CPU and LRU ones too; the verifier refuses other kinds.
    /// The entry that is visited may be removed; one that is added meanwhile may be missed.
    /// </summary>
    /// <param name="visit">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <param name="state">What the visits share; a variable on the stack.</param>
    /// <returns>Entries visited, or a negative errno.</returns>
    public long ForEach<TState>(MapVisitor<TKey, TValue, TState> visit, ref TState state)
        where TState : struct, allows ref struct => ForEach(visit, ref state, 0);

    [KernelHelper(164, Since = "5.13")]
    private long ForEach<TState>([KernelCallback(skip: 1)] MapVisitor<TKey, TValue, TState> visit, ref TState state, ulong flags)
        where TState : struct, allows ref struct
    {
        _ = flags;
        var key = default(TKey);
        var next = default(TKey);
        var walk = new MapWalk(Storage, WritableBytes(ref key), WritableBytes(ref next));
        long visited = 0;
        while (walk.MoveNext())
        {
            visited++;
            if (visit(in key, ref Unsafe.AsRef<TValue>(walk.Value), ref state) != LoopControl.Continue)
            {
                break;
            }
        }

        return visited;
    }
}

/// <summary>Looks at one entry of a map.</summary>
/// <param name="key">Its key.</param>
/// <param name="value">Its live value; on per-CPU kinds that of this CPU.</param>
/// <param name="state">What the visits share.</param>
public delegate LoopControl MapVisitor<TKey, TValue, TState>(in TKey key, ref TValue value, ref TState state)
    where TKey : unmanaged
    where TValue : unmanaged
    where TState : struct, allows ref struct;
