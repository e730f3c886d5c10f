using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>Cgroups, by index, for the question whether somebody is in one of them (<c>BPF_MAP_TYPE_CGROUP_ARRAY</c>, kernel 4.8).</summary>
public sealed class CgroupArray(uint maxEntries, string? name = null) : BpfMap(MapKind.CgroupArray, sizeof(uint), sizeof(uint), maxEntries, MapFlags.None, name)
{
    /// <summary>Indices.</summary>
    public override Type KeyType => typeof(uint);

    /// <summary>Descriptors.</summary>
    public override Type ValueType => typeof(int);

    /// <summary>Program side: 1 when the running task is in the cgroup or below, 0 when not, or a negative errno (<c>bpf_current_task_under_cgroup</c>).</summary>
    [KernelHelper(37, Since = "4.9")]
    public int HoldsCurrentTask(uint index) => throw KernelEnvironment.NotInTwin("bpf_current_task_under_cgroup");

    /// <summary>Program side: 1 when the socket of the packet is in the cgroup or below, 0 when not, or a negative errno (<c>bpf_skb_under_cgroup</c>).</summary>
    public int HoldsSender(ref TcContext packet, uint index) => HoldsSender(ref packet, this, index);

    [KernelHelper(33)]
    private static int HoldsSender(ref TcContext packet, CgroupArray map, uint index) => throw KernelEnvironment.NotInTwin("bpf_skb_under_cgroup");

    /// <summary>User side: puts in a cgroup.</summary>
    /// <param name="index">Index.</param>
    /// <param name="directory">Open descriptor of the directory of a version 2 cgroup.</param>
    /// <exception cref="BpfException">EBADF: it is a descriptor of something else; E2BIG: the index is not below the entries.</exception>
    public void Set(uint index, SafeHandle directory)
    {
        using var value = new DescriptorKey(directory);
        var status = Storage.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in index)), value.Bytes, (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, "update", status);
        }
    }

    /// <summary>User side: takes the cgroup out; false when there was none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Remove(uint index)
    {
        var status = Storage.Remove(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in index)));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "delete", status),
        };
    }
}
