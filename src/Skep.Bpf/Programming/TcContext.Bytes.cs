namespace Skep.Bpf.Programming;

/// <content>Helpers that read and write the packet and its checksums (net/core/filter.c).</content>
public unsafe partial struct TcContext
{
    /// <summary>Makes <paramref name="length"/> bytes directly readable (<c>bpf_skb_pull_data</c>). Pointers read before are dead afterwards.</summary>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(39, ClobbersPacket = true)]
    public int PullData(uint length) => MakeWritable(length) ? 0 : -Errno.NoMemory;

    /// <summary>Copies bytes out of the packet, wherever they lie (<c>bpf_skb_load_bytes</c>).</summary>
    /// <param name="offset">Offset from the Ethernet header.</param>
    /// <param name="target">Where to write.</param>
    /// <param name="length">Bytes to copy.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(26)]
    public readonly int LoadBytes(uint offset, void* target, uint length)
    {
        if ((ulong)offset + length > Length)
        {
            new Span<byte>(target, (int)length).Clear();
            return -Errno.Fault;
        }

        Buffer.MemoryCopy(_data + offset, target, length, length);
        return 0;
    }

    /// <summary>
    /// Writes bytes into the packet, wherever they lie (<c>bpf_skb_store_bytes</c>); they become directly readable. Pointers read before are dead afterwards.
    /// </summary>
    /// <param name="offset">Offset from the Ethernet header.</param>
    /// <param name="source">The bytes.</param>
    /// <param name="length">How many.</param>
    /// <param name="flags">What else is brought up to date.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(9, ClobbersPacket = true)]
    public int StoreBytes(uint offset, void* source, uint length, StoreFlags flags)
    {
        if ((flags & ~(StoreFlags.RecomputeChecksum | StoreFlags.InvalidateHash)) != 0)
        {
            return -Errno.Invalid;
        }

        if (offset > int.MaxValue || !MakeWritable((ulong)offset + length))
        {
            return -Errno.Fault;
        }

        var target = _data + offset;
        var summed = (flags & StoreFlags.RecomputeChecksum) != 0 && Checksum == ChecksumState.Complete;
        if (summed)
        {
            CompleteSum = AddSums(CompleteSum, ~SumOf(target, length, offset));
        }

        Buffer.MemoryCopy(source, target, length, length);
        if (summed)
        {
            CompleteSum = AddSums(CompleteSum, SumOf(target, length, offset));
        }

        return 0;
    }

    /// <summary>
    /// Mends the checksum of an IPv4 header for a field that changes (<c>bpf_l3_csum_replace</c>). Pointers read before are dead afterwards.
    /// </summary>
    /// <param name="offset">Offset of the checksum from the Ethernet header; even.</param>
    /// <param name="from">The field before, as loaded; 0 when <paramref name="to"/> is a difference.</param>
    /// <param name="to">The field after, as loaded; or the difference of all changed words in one's complement.</param>
    /// <param name="size">Bytes of the field: 2 or 4; 0 for a difference.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(10, ClobbersPacket = true)]
    public int L3ChecksumReplace(uint offset, ulong from, ulong to, ulong size)
    {
        if ((size & ~0xFul) != 0)
        {
            return -Errno.Invalid;
        }

        if (offset > ushort.MaxValue || (offset & 1) != 0 || !MakeWritable(offset + sizeof(ushort)))
        {
            return -Errno.Fault;
        }

        var field = (ushort*)(_data + offset);
        switch (size)
        {
            case 0 when from == 0:
                *field = FoldSum(AddSums((uint)to, ~(uint)*field));
                return 0;
            case 2:
                *field = (ushort)~Add16(Add16((ushort)~*field, (ushort)~from), (ushort)to);
                return 0;
            case 4:
                *field = FoldSum(AddSums(AddSums(~(uint)*field, ~(uint)from), (uint)to));
                return 0;
            default:
                return -Errno.Invalid;
        }
    }

    /// <summary>
    /// Mends the checksum of TCP, UDP or ICMP for a field that changes (<c>bpf_l4_csum_replace</c>), whatever the checksum field holds now:
    /// see <see cref="L4ChecksumFlags.PseudoHeader"/>. Pointers read before are dead afterwards.
    /// </summary>
    /// <param name="offset">Offset of the checksum from the Ethernet header; even.</param>
    /// <param name="from">The field before, as loaded; 0 when <paramref name="to"/> is a difference.</param>
    /// <param name="to">The field after, as loaded; or the difference of all changed words in one's complement.</param>
    /// <param name="flags">Bytes of the field (2, 4, or 0 for a difference), and what kind of field it is.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(11, ClobbersPacket = true)]
    public int L4ChecksumReplace(uint offset, ulong from, ulong to, L4ChecksumFlags flags)
    {
        const L4ChecksumFlags Known = L4ChecksumFlags.PseudoHeader | L4ChecksumFlags.MangledZero | L4ChecksumFlags.Enforce | L4ChecksumFlags.IPv6 | (L4ChecksumFlags)0xF;
        if ((flags & ~Known) != 0)
        {
            return -Errno.Invalid;
        }

        if (offset > ushort.MaxValue || (offset & 1) != 0 || !MakeWritable(offset + sizeof(ushort)))
        {
            return -Errno.Fault;
        }

        var field = (ushort*)(_data + offset);
        var mangles = (flags & L4ChecksumFlags.MangledZero) != 0;
        if (mangles && (flags & L4ChecksumFlags.Enforce) == 0 && *field == 0)
        {
            return 0;
        }

        var size = (uint)flags & 0xF;
        if (size is not (0 or 2 or 4) || (size == 0 && from != 0))
        {
            return -Errno.Invalid;
        }

        var (before, after) = size == 2 ? ((ushort)from, (ushort)to) : ((uint)from, (uint)to);
        Replace(field, size == 0 ? after : AddSums(~before, after), size == 0, flags);
        if (mangles && *field == 0)
        {
            *field = ushort.MaxValue;
        }

        return 0;
    }

    /// <summary>Adds to the sum that the device made of the packet (<c>bpf_csum_update</c>, kernel 4.6), after bytes were changed through pointers.</summary>
    /// <param name="difference">The difference of all changed words in one's complement.</param>
    /// <returns>The new sum, or ENOTSUPP (-524) when the packet has none, which is no failure.</returns>
    [KernelHelper(40)]
    public long ChecksumUpdate(uint difference)
    {
        if (Checksum != ChecksumState.Complete)
        {
            return -524;
        }

        CompleteSum = AddSums(CompleteSum, difference);
        return CompleteSum;
    }

    // inet_proto_csum_replace4 and inet_proto_csum_replace_by_diff of net/core/utils.c, which associate differently: only all ones and zero could differ.
    private void Replace(ushort* field, uint difference, bool isDifference, L4ChecksumFlags flags)
    {
        var isPseudo = (flags & L4ChecksumFlags.PseudoHeader) != 0;
        if (Checksum == ChecksumState.Partial)
        {
            if (isPseudo)
            {
                *field = (ushort)~FoldSum(AddSums(difference, *field));
            }

            return;
        }

        *field = FoldSum(AddSums(difference, ~(uint)*field));
        if (Checksum == ChecksumState.Complete && isPseudo && !(isDifference && (flags & L4ChecksumFlags.IPv6) != 0))
        {
            CompleteSum = ~AddSums(difference, ~CompleteSum);
        }
    }

    private bool MakeWritable(ulong length)
    {
        if (length > Length)
        {
            return false;
        }

        if (_data + length > _linearEnd)
        {
            _linearEnd = _data + length;
        }

        return true;
    }

    private static uint AddSums(uint left, uint right)
    {
        var sum = left + right;
        return sum + (sum < right ? 1u : 0);
    }

    private static ushort Add16(ushort left, ushort right)
    {
        var sum = (uint)left + right;
        return (ushort)((sum & 0xFFFF) + (sum >> 16));
    }

    private static ushort FoldSum(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)~((sum & 0xFFFF) + (sum >> 16));
    }

    private static uint SumOf(byte* bytes, uint length, uint offset)
    {
        var sum = 0u;
        for (var i = 0u; i < length; i++)
        {
            sum = AddSums(sum, (uint)bytes[i] << (((offset + i) & 1) == 0 ? 0 : 8));
        }

        return sum;
    }
}

/// <summary>What a write into a packet brings up to date (<c>BPF_F_RECOMPUTE_CSUM</c> and others).</summary>
[Flags]
public enum StoreFlags : ulong
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>The sum that the device made of the packet (<see cref="ChecksumState.Complete"/>); fields in headers are left alone.</summary>
    RecomputeChecksum = 1,
    /// <summary>The hash of the flow is forgotten.</summary>
    InvalidateHash = 2,
}

/// <summary>Size and kind of a field that a transport checksum covers (<c>BPF_F_PSEUDO_HDR</c> and others); the low four bits are its bytes.</summary>
[Flags]
public enum L4ChecksumFlags : ulong
{
    /// <summary>A difference of words, in one's complement.</summary>
    Difference = 0,
    /// <summary>A field of two bytes.</summary>
    Two = 2,
    /// <summary>A field of four bytes.</summary>
    Four = 4,
    /// <summary>
    /// The field is of the pseudo-header (an address): a partial checksum is mended for it too. Without this flag a partial checksum is left alone,
    /// because the device will sum up the field itself.
    /// </summary>
    PseudoHeader = 1 << 4,
    /// <summary>UDP: none stays none, and a result of zero becomes all ones.</summary>
    MangledZero = 1 << 5,
    /// <summary>With <see cref="MangledZero"/>: none is mended too.</summary>
    Enforce = 1 << 6,
    /// <summary>A difference of IPv6 addresses, which stand in the summed packet as well (kernel 6.16).</summary>
    IPv6 = 1 << 7,
}
