using System.Runtime.InteropServices;
using System.Text;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Inspection;

/// <summary>What the kernel knows of a link: which program is attached to what.</summary>
/// <param name="Id">Number in the kernel.</param>
/// <param name="Type">Type.</param>
/// <param name="ProgramId">Number of the program.</param>
/// <param name="Target">What it is attached to, by the names of <c>struct bpf_link_info</c>: <c>ifindex</c>, <c>attachType</c>, <c>tracepoint</c>, and so on.</param>
public sealed record LinkDetails(uint Id, LinkType Type, uint ProgramId, IReadOnlyList<(string Name, object Value)> Target)
{
    private const int LongestName = 256;

    /// <summary>Looks at a link.</summary>
    /// <exception cref="BpfException">ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.</exception>
    public static LinkDetails Read(uint id)
    {
        using var handle = KernelObjects.Open(BpfObjectKind.Link, id);
        var info = default(LinkInfoWords);
        BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading what the kernel knows of link {id} failed");
        return new LinkDetails(info.Id, info.Type, info.ProgramId, [.. Describe(handle, info)]);
    }

    /// <summary>Takes the program from its hook; the link stays, empty, until the last descriptor and pin of it go.</summary>
    /// <exception cref="BpfException">EOPNOTSUPP: links of this type end only with their last descriptor or pin.</exception>
    public static void Detach(uint id)
    {
        using var handle = KernelObjects.Open(BpfObjectKind.Link, id);
        using var lease = handle.Borrow();
        var attributes = new LinkUpdateAttributes { Link = lease.Descriptor };
        BpfException.ThrowIfFailed(BpfSyscall.LinkDetach(ref attributes), $"Detaching link {id} failed");
    }

    private static IEnumerable<(string Name, object Value)> Describe(KernelHandle handle, LinkInfoWords info)
    {
        switch (info.Type)
        {
            case LinkType.RawTracepoint:
                yield return ("tracepoint", Text(handle, info, 0));
                break;
            case LinkType.Tracing:
                yield return ("attachType", (AttachType)info.At(0));
                yield return ("targetObjectId", info.At(1));
                yield return ("targetBtfId", info.At(2));
                break;
            case LinkType.Cgroup:
                yield return ("cgroupId", info.At(0) | ((ulong)info.At(1) << 32));
                yield return ("attachType", (AttachType)info.At(2));
                break;
            case LinkType.Iter:
                var target = Text(handle, info, 0);
                yield return ("target", target);
                if (target is "bpf_map_elem" or "bpf_sk_storage_map")
                {
                    yield return ("mapId", info.At(4));
                }

                break;
            case LinkType.Netns:
                yield return ("namespaceInode", info.At(0));
                yield return ("attachType", (AttachType)info.At(1));
                break;
            case LinkType.Xdp:
                yield return ("ifindex", info.At(0));
                break;
            case LinkType.StructOps:
                yield return ("mapId", info.At(0));
                break;
            case LinkType.Netfilter:
                yield return ("family", info.At(0));
                yield return ("hook", info.At(1));
                yield return ("priority", (int)info.At(2));
                break;
            case LinkType.Tcx or LinkType.Netkit:
                yield return ("ifindex", info.At(0));
                yield return ("attachType", (AttachType)info.At(1));
                break;
            case LinkType.Sockmap:
                yield return ("mapId", info.At(0));
                yield return ("attachType", (AttachType)info.At(1));
                break;
            case LinkType.PerfEvent:
                // enum bpf_perf_event_type: uprobe, uretprobe, kprobe, kretprobe, tracepoint, event
                var kind = info.At(0) switch { 1 => "uprobe", 2 => "uretprobe", 3 => "kprobe", 4 => "kretprobe", 5 => "tracepoint", 6 => "event", _ => "unknown" };
                yield return ("event", kind);
                if (kind is not ("event" or "unknown"))
                {
                    yield return ("name", Text(handle, info, 2));
                }

                if (kind is "uprobe" or "uretprobe" or "kprobe" or "kretprobe")
                {
                    yield return ("offset", info.At(5));
                }

                break;
        }
    }

    /// <summary>A name for which the kernel wants room: an address and a length, from that word of the details on.</summary>
    private static unsafe string Text(KernelHandle handle, LinkInfoWords known, int word)
    {
        var name = stackalloc byte[LongestName];
        var info = new LinkInfoWords { Type = known.Type };
        info.Set(word, (ulong)name);
        info.Set(word + 2, LongestName);
        return BpfSyscall.ObjGetInfo(handle, ref info) == 0 ? Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)) : "";
    }
}

/// <summary>
/// <c>struct bpf_link_info</c>, 64 bytes here: the details of a type as words.
/// <code>
///  0 type:4   4 id:4   8 prog_id:4   12 padding:4   16 details by type
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkInfoWords
{
    internal LinkType Type;
    internal uint Id;
    internal uint ProgramId;
    internal uint Padding;
    internal Details Words;

    internal readonly uint At(int word) => Words[word];

    internal void Set(int word, ulong value)
    {
        Words[word] = (uint)value;
        if (value > uint.MaxValue)
        {
            Words[word + 1] = (uint)(value >> 32);
        }
    }

    [System.Runtime.CompilerServices.InlineArray(12)]
    internal struct Details
    {
        private uint _first;
    }
}
