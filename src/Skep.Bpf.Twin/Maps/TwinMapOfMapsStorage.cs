using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>Maps of maps (<c>kernel/bpf/map_in_map.c</c>): the inner maps are those objects that the process put in.</summary>
internal sealed unsafe class TwinMapOfMapsStorage : TwinMapStorage
{
    private readonly Dictionary<byte[], BpfMap> _inner = new(ByteComparer.Instance);
    private readonly Dictionary<byte[], BpfMap>.AlternateLookup<ReadOnlySpan<byte>> _bySpan;
    private readonly BpfMap _template;
    private readonly bool _isArray;

    public TwinMapOfMapsStorage(BpfMap map, BpfMap template, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _bySpan = _inner.GetAlternateLookup<ReadOnlySpan<byte>>();
        _template = template;
        _isArray = map.Kind == MapKind.ArrayOfMaps;
    }

    /// <inheritdoc/>
    public override uint Count => (uint)_inner.Count;

    /// <inheritdoc/>
    public override BpfMap? FindMap(byte* key)
    {
        RequireLive();
        return _bySpan.TryGetValue(new ReadOnlySpan<byte>(key, KeySize), out var inner) ? inner : null;
    }

    /// <inheritdoc/>
    public override int WriteMap(ReadOnlySpan<byte> key, BpfMap inner, ulong mode)
    {
        lock (Gate)
        {
            RequireLive();
            if (!inner.IsBound)
            {
                inner.Bind(Create(inner, Environment, Gate));
            }

            if (inner.Storage is not TwinMapStorage storage || storage.Gate != Gate)
            {
                throw new InvalidOperationException($"Map '{inner.Name}' lives in the kernel or under another twin: it cannot stand in a map of this one.");
            }

            if (!IsLike(inner))
            {
                return -Errno.Invalid;
            }

            var refused = Check(key, mode);
            if (refused == 0)
            {
                _bySpan[key] = inner;
            }

            return refused;
        }
    }

    /// <summary>Programs get inner maps by <see cref="FindMap"/>; they have no value.</summary>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -Errno.Invalid;

    /// <inheritdoc/>
    public override int Delete(byte* key)
    {
        RequireLive();
        return _isArray && *(uint*)key >= MaxEntries ? -Errno.TooBig : _bySpan.Remove(new ReadOnlySpan<byte>(key, KeySize)) ? 0 : -Errno.NoEntry;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _inner.Clear();
        }
    }

    /// <summary>A number that tells inner maps apart, as the kernel's ids do.</summary>
    private protected override int ReadEntry(byte* key, byte* value)
    {
        if (FindMap(key) is not { } inner)
        {
            return -Errno.NoEntry;
        }

        *(int*)value = System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(inner);
        return 0;
    }

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -Errno.BadDescriptor;

    private protected override int NextEntry(byte* key, byte* next) => -NoSuchOperation;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }

    // bpf_map_meta_equal; arrays differ in length only where the template says that they may (array_map_meta_equal).
    private bool IsLike(BpfMap inner) =>
        inner.Kind == _template.Kind && inner.KeySize == _template.KeySize && inner.ValueSize == _template.ValueSize && inner.Flags == _template.Flags
        && (inner.Kind is not (MapKind.Array or MapKind.PerCpuArray) || inner.MaxEntries == _template.MaxEntries || (_template.Flags & MapFlags.InnerMap) != 0);

    // fd_array_map_update_elem takes no mode; hash tables take them all.
    private int Check(ReadOnlySpan<byte> key, ulong mode)
    {
        if (_isArray)
        {
            return mode != (ulong)UpdateMode.Any ? -Errno.Invalid : BitConverter.ToUInt32(key) >= MaxEntries ? -Errno.TooBig : 0;
        }

        var there = _bySpan.ContainsKey(key);
        return mode > (ulong)UpdateMode.Exist ? -Errno.Invalid
            : there && mode == (ulong)UpdateMode.NoExist ? -Errno.Exists
            : !there && mode == (ulong)UpdateMode.Exist ? -Errno.NoEntry
            : !there && _inner.Count >= MaxEntries ? -Errno.TooBig
            : 0;
    }

    private sealed class ByteComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        internal static readonly ByteComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

        public int GetHashCode(byte[] bytes) => GetHashCode(bytes.AsSpan());

        public int GetHashCode(ReadOnlySpan<byte> bytes)
        {
            var hash = default(HashCode);
            hash.AddBytes(bytes);
            return hash.ToHashCode();
        }
    }
}
