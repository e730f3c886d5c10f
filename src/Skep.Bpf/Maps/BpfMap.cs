using System.Runtime.CompilerServices;

namespace Skep.Bpf.Maps;

/// <summary>
/// A map: one object for the program that uses it, the process that reads it, and the twin.
/// It is a description until storage is bound to it: by loading a program that uses it, by opening a pin, or by the twin.
/// </summary>
public abstract class BpfMap : IDisposable
{
    private MapStorage? _storage;

    private protected BpfMap(MapKind kind, int keySize, int valueSize, uint maxEntries, MapFlags flags, string? name)
    {
        if (maxEntries == 0 && this is not UntypedMap && !MapBtf.IsRequired(kind) && kind is not (MapKind.CgroupStorageDeprecated or MapKind.PerCpuCgroupStorageDeprecated))
        {
            throw new ArgumentOutOfRangeException(nameof(maxEntries), "A map needs at least one entry.");
        }

        Kind = kind;
        KeySize = keySize;
        ValueSize = valueSize;
        MaxEntries = maxEntries;
        Flags = flags;
        Name = name ?? "";
    }

    /// <summary>Kind of the map.</summary>
    public MapKind Kind { get; }

    /// <summary>Bytes of a key; 0 for ring buffers.</summary>
    public int KeySize { get; }

    /// <summary>Bytes of a value; 0 for ring buffers.</summary>
    public int ValueSize { get; }

    /// <summary>Most entries the map holds; bytes for ring buffers.</summary>
    public uint MaxEntries { get; }

    /// <summary>Creation flags.</summary>
    public MapFlags Flags { get; }

    /// <summary>NUMA node whose memory holds the entries; null leaves it to the kernel (kernel 4.14).</summary>
    public int? NumaNode { get; init; }

    /// <summary>Name in the kernel (15 characters are kept) and of the pin. The compiler takes the field's name when none was given.</summary>
    public string Name { get; internal set; }

    /// <summary>Type of the keys, null for ring buffers.</summary>
    public abstract Type? KeyType { get; }

    /// <summary>Type of the values or records.</summary>
    public abstract Type ValueType { get; }

    /// <summary>How many of <see cref="ValueType"/> a value holds.</summary>
    internal virtual uint ElementsOfValue => 1;

    /// <summary>For maps of maps: what the inner maps are like.</summary>
    internal virtual BpfMap? InnerTemplate => null;

    /// <summary>Extra argument that some kinds take (<c>map_extra</c>).</summary>
    internal virtual ulong CreationExtra => 0;

    /// <summary>The flags as the kernel gets them and shows them.</summary>
    internal MapFlags CreationFlags => Flags | (NumaNode is null ? 0 : MapFlags.OnNumaNode);

    /// <summary>Whether the map has storage.</summary>
    public bool IsBound => _storage is not null;

    /// <summary>The storage.</summary>
    /// <exception cref="InvalidOperationException">The map is not bound yet.</exception>
    public MapStorage Storage => _storage ?? throw new InvalidOperationException(
        $"Map '{Name}' has no storage yet. Load the program that uses it, open its pin, or bind it to a twin.");

    /// <summary>Gives the map its storage, which the map owns from now on.</summary>
    /// <exception cref="InvalidOperationException">The map has storage already.</exception>
    public void Bind(MapStorage storage)
    {
        ArgumentNullException.ThrowIfNull(storage);
        if (_storage is not null)
        {
            throw new InvalidOperationException($"Map '{Name}' has storage already; dispose of it first.");
        }

        _storage = storage;
    }

    /// <summary>Releases the storage: closes the descriptor, or frees the memory. A pinned map lives on in the kernel.</summary>
    public void Dispose()
    {
        _storage?.Dispose();
        _storage = null;
        GC.SuppressFinalize(this);
    }

    /// <summary>Size of <typeparamref name="T"/> in bytes, as the kernel sees it.</summary>
    private protected static int SizeOf<T>()
        where T : unmanaged => Unsafe.SizeOf<T>();
}
