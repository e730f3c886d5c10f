namespace Skep.Bpf.Programming;

/// <content>Room for headers, made and taken away behind the link header (net/core/filter.c, <c>bpf_skb_adjust_room</c>).</content>
public unsafe partial struct TcContext
{
    private const int NotSupported = 524; // ENOTSUPP
    private const uint EthernetLength = 14;

    /// <summary>
    /// Makes room between headers, or takes bytes away there (<c>bpf_skb_adjust_room</c>, kernel 4.13). Super-packets stay super-packets. Pointers read before are dead
    /// afterwards. The EtherType in the link header is not touched. The twin only takes away.
    /// </summary>
    /// <param name="difference">Bytes to add, zeroed, or, negative, to take away; 4095 at most.</param>
    /// <param name="mode">Behind which header.</param>
    /// <param name="flags">What the change means.</param>
    /// <returns>0; -ENOTSUPP (-524) for anything but IPv4 and IPv6 and when too little would remain; or another negative errno.</returns>
    [KernelHelper(50, ClobbersPacket = true)]
    public int AdjustRoom(int difference, RoomMode mode, RoomFlags flags)
    {
        const RoomFlags Families = RoomFlags.DecapsulatesToIPv4 | RoomFlags.DecapsulatesToIPv6;
        const RoomFlags Shrinking = RoomFlags.FixedSegments | Families | RoomFlags.KeepChecksumState;
        const RoomFlags Known = Shrinking | RoomFlags.EncapsulatesInIPv4 | RoomFlags.EncapsulatesInIPv6 | RoomFlags.EncapsulatesInGre
            | RoomFlags.EncapsulatesInUdp | RoomFlags.EncapsulatesEthernet | RoomFlags.InnerLinkLength;
        var isShrinking = difference < 0;
        var bytes = (uint)Math.Abs((long)difference);
        if ((flags & ~Known) != 0)
        {
            return -Errno.Invalid;
        }

        if (bytes > 0xFFF)
        {
            return -Errno.Fault;
        }

        var isIPv6 = _protocol == 0xDD86;
        if (!isIPv6 && _protocol != 0x0008)
        {
            return -NotSupported;
        }

        var header = isIPv6 ? 40u : 20u;
        var offset = EthernetLength;
        switch (mode)
        {
            case RoomMode.BehindNetworkHeader:
                offset += header;
                break;
            case RoomMode.BehindLinkHeader:
                break;
            default:
                return -NotSupported;
        }

        if ((flags & Families) != 0)
        {
            if (!isShrinking || (flags & Families) == Families)
            {
                return -Errno.Invalid;
            }

            header = (flags & RoomFlags.DecapsulatesToIPv6) != 0 ? 40u : 20u;
        }

        var length = Length - EthernetLength;
        if (isShrinking && (bytes >= length || length - bytes < header))
        {
            return -NotSupported;
        }

        if (!isShrinking)
        {
            throw KernelEnvironment.NotInTwin("bpf_skb_adjust_room that makes room");
        }

        return (flags & ~Shrinking) != 0 ? -Errno.Invalid : TakeAway(offset, bytes, flags);
    }

    private int TakeAway(uint offset, uint bytes, RoomFlags flags)
    {
        if (!MakeWritable(offset + bytes))
        {
            return -Errno.NoMemory;
        }

        if (Checksum == ChecksumState.Complete)
        {
            CompleteSum = AddSums(CompleteSum, ~SumOf(_data + offset, bytes, offset));
        }

        Buffer.MemoryCopy(_data, _data + bytes, offset, offset);
        _data += bytes;
        _protocol = (flags & RoomFlags.DecapsulatesToIPv6) != 0 ? (ushort)0xDD86 : (flags & RoomFlags.DecapsulatesToIPv4) != 0 ? (ushort)0x0008 : _protocol;
        Resegment(bytes, flags);
        return 0;
    }

    // Headers that get shorter leave the segments more room, unless what they carry is to stay as it is.
    private void Resegment(uint gained, RoomFlags flags)
    {
        if (_gsoSize != 0)
        {
            _gsoSize = (flags & RoomFlags.FixedSegments) != 0 ? _gsoSize : _gsoSize + gained;
            _gsoSegments = 0;
        }
    }
}

/// <summary>Where <see cref="TcContext.AdjustRoom"/> makes room (<c>BPF_ADJ_ROOM_*</c>).</summary>
public enum RoomMode : uint
{
    /// <summary>Behind the IP header, options and extension headers not counted.</summary>
    BehindNetworkHeader = 0,
    /// <summary>Behind the link header (kernel 5.2).</summary>
    BehindLinkHeader = 1,
}

/// <summary>What a change of <see cref="TcContext.AdjustRoom"/> means (<c>BPF_F_ADJ_ROOM_*</c>).</summary>
[Flags]
public enum RoomFlags : ulong
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>Segments of a super-packet carry as much as before (kernel 5.2).</summary>
    FixedSegments = 1,
    /// <summary>The room is for an outer IPv4 header (kernel 5.2).</summary>
    EncapsulatesInIPv4 = 2,
    /// <summary>The room is for an outer IPv6 header (kernel 5.2).</summary>
    EncapsulatesInIPv6 = 4,
    /// <summary>And for GRE behind it (kernel 5.2).</summary>
    EncapsulatesInGre = 8,
    /// <summary>And for UDP behind it (kernel 5.2).</summary>
    EncapsulatesInUdp = 16,
    /// <summary>The sum that a device verified stays verified (kernel 5.5).</summary>
    KeepChecksumState = 32,
    /// <summary>And for an inner link header (kernel 5.12).</summary>
    EncapsulatesEthernet = 64,
    /// <summary>What remains is IPv4 (kernel 6.3).</summary>
    DecapsulatesToIPv4 = 128,
    /// <summary>What remains is IPv6 (kernel 6.3).</summary>
    DecapsulatesToIPv6 = 256,
    /// <summary>Length of the inner link header, in bits 56-63.</summary>
    InnerLinkLength = 0xFFUL << 56,
}
