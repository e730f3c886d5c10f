using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Maps;

public sealed unsafe partial class KernelMapStorage
{
    /// <summary>Creates the map that <paramref name="map"/> describes; it is not bound yet.</summary>
    /// <param name="map">The description.</param>
    /// <param name="token">Permission to do so without CAP_BPF, or null.</param>
    /// <exception cref="BpfException">The kernel refused: EPERM without CAP_BPF, EINVAL when it does not know the kind or a flag, ENOMEM.</exception>
    public static KernelMapStorage Create(BpfMap map, BpfToken? token = null)
    {
        ArgumentNullException.ThrowIfNull(map);
        var attributes = new MapCreateAttributes
        {
            Kind = map.Kind,
            KeySize = (uint)map.KeySize,
            ValueSize = (uint)map.ValueSize,
            MaxEntries = map.MaxEntries,
            Flags = map.CreationFlags | (token is null ? 0 : MapFlags.WithToken),
            NumaNode = (uint)(map.NumaNode ?? 0),
            Name = ObjectName.From(map.Name),
            Extra = map.CreationExtra,
        };

        using var module = map is UntypedMap { StructOps.ValueType.Module: { } name } ? KernelTypes.OpenModule(name) : null;
        using var moduleLease = module is null ? default : module.Borrow();
        if (map is UntypedMap { StructOps: { } table })
        {
            attributes.BtfVmlinuxValueType = table.ValueType.Id;
            attributes.ValueTypeModule = module is null ? 0 : moduleLease.Descriptor;
            attributes.Flags |= module is null ? 0 : MapFlags.ModuleType;
        }

        // A map of maps learns from a sample what its inner maps are like; the sample may go afterwards.
        using var inner = map.InnerTemplate is { } template ? Create(template, token) : null;
        using var innerLease = inner is null ? default : inner._handle.Borrow();
        using var tokenLease = token is null ? default : token.Handle.Borrow();
        attributes.InnerMapDescriptor = inner is null ? 0 : (uint)innerLease.Descriptor;
        attributes.Token = token is null ? 0 : tokenLease.Descriptor;
        var status = CreateTyped(map, token, ref attributes, out var handle);
        if (status < 0)
        {
            throw BpfException.ForMap(map, "create", status);
        }

        return new KernelMapStorage(handle);
    }

    /// <summary>With the types of key and value where the kernel takes them: an old kernel, or one that finds fault with them, gets the map without.</summary>
    private static int CreateTyped(BpfMap map, BpfToken? token, ref MapCreateAttributes attributes, out KernelHandle handle)
    {
        // A map of an object has its types among the object's, which are loaded once for all of them.
        if (map is UntypedMap { Types: { } of } && of.Btf.Open(token) is { } shared)
        {
            return CreateTyped(map, shared, of.Key, of.Value, ref attributes, out handle);
        }

        if (MapBtf.For(map) is { } types)
        {
            var status = BpfSyscall.BtfLoad(types.Btf, default, out var btf, token);
            using (btf)
            {
                if (status >= 0)
                {
                    return CreateTyped(map, btf, types.Key, types.Value, ref attributes, out handle);
                }
            }
        }

        return BpfSyscall.MapCreate(ref attributes, out handle);
    }

    private static int CreateTyped(BpfMap map, KernelHandle btf, uint key, uint value, ref MapCreateAttributes attributes, out KernelHandle handle)
    {
        using var lease = btf.Borrow();
        (attributes.BtfDescriptor, attributes.BtfKeyType, attributes.BtfValueType) = ((uint)lease.Descriptor, key, value);
        var status = BpfSyscall.MapCreate(ref attributes, out handle);
        if (status >= 0 || MapBtf.IsRequired(map.Kind))
        {
            return status;
        }

        handle.Dispose();
        (attributes.BtfDescriptor, attributes.BtfKeyType, attributes.BtfValueType) = (0, 0, 0);
        return BpfSyscall.MapCreate(ref attributes, out handle);
    }
}
