using Skep.Bpf.Buffers;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Maps;

/// <summary>Map entries in the kernel, behind a file descriptor that this object owns.</summary>
public sealed unsafe partial class KernelMapStorage : MapStorage
{
    private readonly KernelHandle _handle;
    private readonly MapInfo _info;
    private readonly int _valueBytes;
    private readonly byte* _memory;
    private readonly nuint _memoryLength;
    private readonly uint _stride;
    private int _disposed;

    private KernelMapStorage(KernelHandle handle)
    {
        _handle = handle;
        try
        {
            BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref _info), "Reading what the kernel knows of a map failed");
            var perCpu = Kind is MapKind.PerCpuArray or MapKind.PerCpuHash or MapKind.LruPerCpuHash or MapKind.PerCpuCgroupStorageDeprecated;
            ValuesPerEntry = perCpu ? PossibleCpus.Count : 1;
            _stride = (_info.ValueSize + 7) & ~7u;
            _valueBytes = perCpu ? (int)_stride * ValuesPerEntry : (int)_info.ValueSize;
            if ((_info.Flags & MapFlags.Mmapable) != 0 && Kind is MapKind.Array or MapKind.Arena)
            {
                _memoryLength = Kind == MapKind.Arena
                    ? (nuint)Environment.SystemPageSize * _info.MaxEntries
                    : RoundUpToPage((nuint)_stride * _info.MaxEntries);
                _memory = Map(_memoryLength);
            }
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Kind of the map.</summary>
    public MapKind Kind => _info.Kind;

    /// <summary>Number of the map in the kernel, unique while it lives.</summary>
    public uint Id => _info.Id;

    /// <summary>Name in the kernel, at most 15 characters.</summary>
    public string Name => _info.Name.ToString();

    /// <summary>Bytes of a key.</summary>
    public int KeySize => (int)_info.KeySize;

    /// <summary>Bytes of one value.</summary>
    public int ValueSize => (int)_info.ValueSize;

    /// <summary>Most entries the map holds; bytes for ring buffers.</summary>
    public uint MaxEntries => _info.MaxEntries;

    /// <summary>Creation flags.</summary>
    public MapFlags Flags => _info.Flags;

    /// <inheritdoc/>
    public override int ValuesPerEntry { get; }

    internal KernelHandle Handle => _handle;

    /// <summary>Opens a live map by its number (CAP_SYS_ADMIN).</summary>
    /// <exception cref="BpfException">ENOENT when there is no such map.</exception>
    public static KernelMapStorage OpenById(uint id)
    {
        BpfException.ThrowIfFailed(BpfSyscall.GetById(BpfCommand.MapGetFdById, id, out var handle), $"Opening map {id} failed");
        return new KernelMapStorage(handle);
    }

    /// <summary>Opens a pinned map.</summary>
    /// <param name="path">Path of the pin in a bpffs.</param>
    /// <param name="expected">What the map must be like; null takes any.</param>
    /// <exception cref="BpfException">There is no such pin (ENOENT), or it is another kind of object (EINVAL).</exception>
    /// <exception cref="MapMismatchException">The pinned map differs from the expected one; the message is the difference.</exception>
    public static KernelMapStorage OpenPinned(string path, BpfMap? expected = null)
    {
        BpfException.ThrowIfFailed(BpfSyscall.ObjGet(path, out var handle), $"Opening the pinned map {path} failed");
        ObjectKinds.Require(handle, ObjectKind.Map, path);
        var storage = new KernelMapStorage(handle);
        if (expected is not null && storage.DifferencesFrom(expected) is { Count: > 0 } differences)
        {
            storage.Dispose();
            throw new MapMismatchException(expected, path, differences);
        }

        return storage;
    }

    /// <summary>Pins the map: it lives on under <paramref name="path"/>, which lies in a bpffs, when the process ends.</summary>
    /// <exception cref="BpfException">EEXIST when the path is taken, EPERM when it does not lie in a bpffs or has a dot in its name.</exception>
    public void Pin(string path) => BpfException.ThrowIfFailed(BpfSyscall.ObjPin(_handle, path), $"Pinning map '{Name}' at {path} failed");

    /// <summary>Bytes of memory the map takes now, as the kernel accounts them (<c>memlock</c> in <c>/proc/self/fdinfo</c>); 0 when it does not tell.</summary>
    public ulong ReadMemory() => Inspection.KernelObjects.FromProc(_handle, "memlock") ?? 0;

    /// <summary>Makes the entries read-only for user space for good (kernel 5.2).</summary>
    public void Freeze()
    {
        using var lease = _handle.Borrow();
        var attributes = new MapElemAttributes { Map = lease.Descriptor };
        BpfException.ThrowIfFailed(BpfSyscall.MapFreeze(ref attributes), $"Freezing map '{Name}' failed");
    }

    /// <inheritdoc/>
    public override byte* Memory => _memory;

    /// <inheritdoc/>
    public override PerfEventSource OpenPerfEvents(int pagesPerCpu) =>
        Kind == MapKind.PerfEventArray ? new KernelPerfEventSource(_handle, pagesPerCpu) : base.OpenPerfEvents(pagesPerCpu);

    /// <inheritdoc/>
    public override UserRingBufferTarget OpenUserRingBuffer() =>
        Kind == MapKind.UserRingBuffer ? new KernelUserRingBufferTarget(_handle, MaxEntries) : base.OpenUserRingBuffer();

    /// <inheritdoc/>
    public override RingBufferSource OpenRingBuffer() =>
        Kind == MapKind.RingBuffer ? new KernelRingBufferSource(_handle, MaxEntries) : base.OpenRingBuffer();

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (_memory is not null)
        {
            _ = LibC.munmap(_memory, _memoryLength);
        }

        _handle.Dispose();
    }

    /// <summary>What of the kernel's map is not as described, one line each. Names may differ: they are cut to 15 characters.</summary>
    private List<string> DifferencesFrom(BpfMap expected)
    {
        var differences = new List<string>();
        Compare("kind", Kind, expected.Kind);
        Compare("key size", KeySize, expected.KeySize);
        Compare("value size", ValueSize, expected.ValueSize);
        Compare("max entries", MaxEntries, expected.MaxEntries);
        
        // Whether the process may read or write is a matter of its descriptor, not of the map.
        Compare("flags", Flags, expected.CreationFlags & ~(MapFlags.ReadOnlyForProcess | MapFlags.WriteOnlyForProcess));
        return differences;

        void Compare<T>(string what, T pinned, T wanted)
            where T : notnull
        {
            if (!pinned.Equals(wanted))
            {
                differences.Add($"{what}: pinned {pinned}, wanted {wanted}");
            }
        }
    }

    private byte* Map(nuint length)
    {
        using var lease = _handle.Borrow();

        // An arena may ask for its address in the process (map_extra): nothing that is there already is replaced.
        var address = Kind == MapKind.Arena ? (void*)_info.Extra : null;
        var flags = LibC.MAP_SHARED | (address is null ? 0 : LibC.MAP_FIXED_NOREPLACE);
        var memory = LibC.mmap(address, length, LibC.PROT_READ | LibC.PROT_WRITE, flags, lease.Descriptor, 0);
        if (memory == LibC.MAP_FAILED)
        {
            // Frozen maps, and those only programs may not write (constants of other people's objects), can be looked at.
            memory = LibC.mmap(null, length, LibC.PROT_READ, LibC.MAP_SHARED, lease.Descriptor, 0);
        }

        if (memory == LibC.MAP_FAILED)
        {
            throw new BpfException($"Mapping the values of map '{Name}' failed", System.Runtime.InteropServices.Marshal.GetLastPInvokeError());
        }

        return (byte*)memory;
    }

    private static nuint RoundUpToPage(nuint length)
    {
        var page = (nuint)Environment.SystemPageSize;
        return (length + page - 1) & ~(page - 1);
    }
}
