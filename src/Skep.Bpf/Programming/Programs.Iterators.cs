namespace Skep.Bpf.Programming;

/// <summary>A program that sees the objects of the kernel one after the other and writes lines or records about them (kernel 5.8).</summary>
public abstract class IteratorProgram : BpfProgram<IteratorContext, IteratorVerdict>
{
    /// <summary>What is listed: <c>task</c>, <c>task_file</c>, <c>task_vma</c>, <c>bpf_map</c>, <c>bpf_map_elem</c>, <c>bpf_prog</c>, <c>bpf_link</c>, <c>tcp</c>, <c>udp</c>, <c>unix</c>, <c>netlink</c>, <c>ipv6_route</c>, <c>cgroup</c>, <c>ksym</c>.</summary>
    public abstract string Target { get; }

    /// <inheritdoc/>
    public sealed override string Section => "iter/" + Target;
}

/// <summary>
/// A program that sees the entries of a map one after the other (<c>bpf_map_elem</c>): hash tables and arrays, LRU and per-CPU ones too; which map is said when it is
/// attached (<see cref="Links.IteratorLink"/>).
/// </summary>
/// <typeparam name="TKey">Key struct of the map.</typeparam>
/// <typeparam name="TValue">Value struct of the map; on per-CPU kinds that of the first CPU.</typeparam>
public abstract unsafe class MapIteratorProgram<TKey, TValue> : IteratorProgram
    where TKey : unmanaged
    where TValue : unmanaged
{
    /// <inheritdoc/>
    public sealed override string Target => "bpf_map_elem";

    /// <inheritdoc/>
    public sealed override IteratorVerdict Run(ref IteratorContext context)
    {
        // Words: meta, map, key, value.
        var key = context.Pointer<TKey>(2);
        var value = context.Pointer<TValue>(3);
        return key == null || value == null ? IteratorVerdict.Next : Visit(ref context, in *key, ref *value);
    }

    /// <summary>Looks at one entry.</summary>
    /// <param name="context">Where to write.</param>
    /// <param name="key">Its key.</param>
    /// <param name="value">Its live value, which may be changed, except on per-CPU kinds.</param>
    protected abstract IteratorVerdict Visit(ref IteratorContext context, in TKey key, ref TValue value);
}

/// <summary>Verdict of an iterator.</summary>
public enum IteratorVerdict
{
    /// <summary>On to the next object.</summary>
    Next = 0,
    /// <summary>The same object once more.</summary>
    Again = 1,
}

/// <summary>
/// An object of an iteration: an array of 64-bit words, as <c>struct bpf_iter__TARGET</c> of the kernel's BTF says. Word 0 is where to write,
/// the objects follow. After the last object the program runs once more, with null.
/// </summary>
[KernelContext]
public unsafe struct IteratorContext
{
    private readonly ulong* _words;

    /// <summary>A context over plain memory.</summary>
    public IteratorContext(ulong* words) => _words = words;

    /// <summary>The object at word <paramref name="index"/>, from 1; the index is a constant. Null at the end.</summary>
    /// <typeparam name="T">A view of the kernel's struct, or the type of a map's key or value.</typeparam>
    [TracepointArgument]
    public readonly T* Pointer<T>(uint index)
        where T : unmanaged => (T*)_words[index];

    /// <summary>The number at word <paramref name="index"/>; the index is a constant.</summary>
    [TracepointArgument]
    public readonly ulong Value(uint index) => _words[index];

    /// <summary>Writes a record to the reader.</summary>
    /// <typeparam name="T">The record, without padding.</typeparam>
    /// <returns>0, or a negative errno: EOVERFLOW when the kernel's buffer was full, which then calls again.</returns>
    public readonly long Write<T>(in T record)
        where T : unmanaged
    {
        fixed (T* data = &record)
        {
            return Sequence.Write(Pointer<IterationMeta>(0)->Output, data, (uint)sizeof(T));
        }
    }
}

/// <summary>Where an iteration stands (<c>struct bpf_iter_meta</c>).</summary>
[KernelStruct("bpf_iter_meta")]
public unsafe struct IterationMeta
{
    /// <summary>Where to write.</summary>
    [KernelField("seq")]
    public Sequence* Output;

    /// <summary>Number of the iteration.</summary>
    [KernelField("session_id")]
    public ulong Session;

    /// <summary>Number of the object, from 0.</summary>
    [KernelField("seq_num")]
    public ulong Number;

    /// <summary>In the process: an iteration that writes to <paramref name="output"/>.</summary>
    public IterationMeta(Sequence* output, ulong session = 0, ulong number = 0)
    {
        Output = output;
        Session = session;
        Number = number;
    }
}

/// <summary>The kernel's <c>struct seq_file</c>; in the process a buffer.</summary>
public unsafe struct Sequence
{
    private readonly byte* _end;
    private byte* _next;

    /// <summary>In the process: a buffer of <paramref name="size"/> bytes.</summary>
    public Sequence(byte* buffer, int size)
    {
        _next = buffer;
        _end = buffer + size;
    }

    /// <summary>In the process: where the next bytes go.</summary>
    public readonly byte* Next => _next;

    /// <summary>Writes bytes (<c>bpf_seq_write</c>, kernel 5.7).</summary>
    /// <returns>0, or a negative errno: EOVERFLOW when they do not fit.</returns>
    [KernelHelper(127, Since = "5.7")]
    public static long Write(Sequence* sequence, void* data, uint size)
    {
        if (size > sequence->_end - sequence->_next)
        {
            return -75;
        }

        Buffer.MemoryCopy(data, sequence->_next, size, size);
        sequence->_next += size;
        return 0;
    }
}
