using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Inspection;

/// <summary>What the kernel knows of a map.</summary>
public sealed record MapDetails
{
    private MapDetails(in MapInfo info)
    {
        Id = info.Id;
        Kind = info.Kind;
        Name = info.Name.ToString();
        KeySize = info.KeySize;
        ValueSize = info.ValueSize;
        MaxEntries = info.MaxEntries;
        Flags = info.Flags;
        BtfId = info.BtfId;
        KeyType = info.BtfKeyType;
        ValueType = info.BtfVmlinuxValueType != 0 ? info.BtfVmlinuxValueType : info.BtfValueType;
        HasKernelValueType = info.BtfVmlinuxValueType != 0;
    }

    /// <summary>Number in the kernel.</summary>
    public uint Id { get; }

    /// <summary>Kind.</summary>
    public MapKind Kind { get; }

    /// <summary>Name, at most 15 characters, as its maker chose it: text from outside.</summary>
    public string Name { get; }

    /// <summary>Bytes of a key.</summary>
    public uint KeySize { get; }

    /// <summary>Bytes of a value, of one CPU for per-CPU kinds.</summary>
    public uint ValueSize { get; }

    /// <summary>Most entries; bytes of ring buffers.</summary>
    public uint MaxEntries { get; }

    /// <summary>Creation flags.</summary>
    public MapFlags Flags { get; }

    /// <summary>Number of its BTF, 0 when it has none.</summary>
    public uint BtfId { get; }

    /// <summary>Number of the key's type in its BTF, 0 when it has none.</summary>
    public uint KeyType { get; }

    /// <summary>Number of the value's type, 0 when it has none.</summary>
    public uint ValueType { get; }

    /// <summary>Whether <see cref="ValueType"/> is one of the kernel's own types (struct_ops).</summary>
    public bool HasKernelValueType { get; }

    /// <summary>Bytes of memory, as accounted; 0 when not told.</summary>
    public ulong Memory { get; private init; }

    /// <summary>Whether the process side can no longer write.</summary>
    public bool IsFrozen { get; private init; }

    /// <summary>Whether there is a value per CPU.</summary>
    public bool IsPerCpu => Kind is MapKind.PerCpuArray or MapKind.PerCpuHash or MapKind.LruPerCpuHash or MapKind.PerCpuCgroupStorageDeprecated;

    /// <summary>Looks at a map.</summary>
    /// <exception cref="BpfException">ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.</exception>
    public static MapDetails Read(uint id)
    {
        using var handle = KernelObjects.Open(BpfObjectKind.Map, id);
        var info = default(MapInfo);
        BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading what the kernel knows of map {id} failed");
        return new MapDetails(in info)
        {
            Memory = KernelObjects.FromProc(handle, "memlock") ?? 0,
            IsFrozen = KernelObjects.FromProc(handle, "frozen") == 1,
        };
    }

    /// <summary>Its types: the caller disposes of them. Null when it has none, or when they cannot be read.</summary>
    public BtfFile? OpenTypes()
    {
        try
        {
            return BtfId != 0 ? BtfFile.OpenById(BtfId) : null;
        }
        catch (Exception e) when (e is BpfException or InvalidDataException)
        {
            return null;
        }
    }
}
