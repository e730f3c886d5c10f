using Skep.Bpf.Programming;

namespace Skep.Packets;

/// <summary>Link and network headers of a frame, read once. A view: pointers go into the frame and die with it.</summary>
public unsafe struct IpPacket
{
    /// <summary>First byte of the IPv4 or IPv6 header.</summary>
    public byte* Network;

    /// <summary>First byte behind IP options or extension headers; nothing there has been checked yet.</summary>
    public byte* Transport;

    /// <summary>Sender.</summary>
    public IpAddress Source;

    /// <summary>Receiver.</summary>
    public IpAddress Destination;

    /// <summary>Identification that fragments of one packet share; of a whole packet, whatever it has, or 0.</summary>
    public uint FragmentId;

    /// <summary>Protocol at <see cref="Transport"/>.</summary>
    public IpProtocol Protocol;

    /// <summary>Which part of the packet the frame carries; later fragments have no transport header.</summary>
    public FragmentKind Fragment;

    /// <summary>Whether <see cref="Network"/> is an IPv6 header.</summary>
    public bool IsIPv6;

    /// <summary>Extension headers that are skipped at most.</summary>
    public const int MaxExtensionHeaders = 6;

    /// <summary>Reads Ethernet, up to two VLAN tags, and IPv4 or IPv6. Usable in kernel programs.</summary>
    /// <param name="data">First byte of the Ethernet header.</param>
    /// <param name="end">One past the last readable byte.</param>
    /// <param name="packet">What was found; meaningful only with <see cref="ParseStatus.Ip"/>.</param>
    public static ParseStatus Parse(byte* data, byte* end, out IpPacket packet)
    {
        packet = default;
        var status = FindNetwork(data, end, out var network, out var isIPv6);
        return status != ParseStatus.Ip ? status : isIPv6 ? packet.ReadIPv6(network, end) : packet.ReadIPv4(network, end);
    }

    /// <summary>Reads Ethernet and up to two VLAN tags. Usable in kernel programs.</summary>
    /// <param name="data">First byte of the Ethernet header.</param>
    /// <param name="end">One past the last readable byte.</param>
    /// <param name="network">What follows, for <see cref="ParseNetwork"/>; meaningful only with <see cref="ParseStatus.Ip"/>.</param>
    /// <param name="isIPv6">Whether it is IPv6.</param>
    public static ParseStatus FindNetwork(byte* data, byte* end, out byte* network, out bool isIPv6)
    {
        network = data + sizeof(EthernetHeader);
        isIPv6 = false;
        if (network > end)
        {
            return ParseStatus.Truncated;
        }

        var type = ((EthernetHeader*)data)->EtherType;
        if (type != EtherTypes.IPv4 && type != EtherTypes.IPv6)
        {
            var status = SkipTags(ref type, ref network, end);
            if (status != ParseStatus.Ip)
            {
                return status;
            }

            // One tag or two: the same from here on, for the verifier too.
            network = Joined(data, end, network);
        }

        isIPv6 = type == EtherTypes.IPv6;
        return ParseStatus.Ip;
    }

    /// <summary>
    /// Reads the shape that nearly all packets have: no tags, IPv4 without options and in one piece or IPv6 without extension headers, TCP or UDP with all of its
    /// header. Every place in it is a constant, so it costs little and the verifier walks it once. Usable in kernel programs.
    /// </summary>
    /// <param name="data">First byte of the Ethernet header.</param>
    /// <param name="end">One past the last readable byte.</param>
    /// <param name="packet">What was found; meaningful only when true.</param>
    /// <returns>False for every other shape, and for what is wrong: <see cref="Parse(byte*, byte*, out IpPacket)"/> says which.</returns>
    public static bool TryParsePlain(byte* data, byte* end, out IpPacket packet) =>
        TryParsePlainIPv4(data, end, out packet) || TryParsePlainIPv6(data, end, out packet);

    /// <summary>As <see cref="TryParsePlain"/>, for IPv4 alone: what follows is made for one family.</summary>
    public static bool TryParsePlainIPv4(byte* data, byte* end, out IpPacket packet)
    {
        packet = default;
        var header = (IPv4Header*)(data + sizeof(EthernetHeader));
        packet.Network = (byte*)header;
        packet.Transport = packet.Network + sizeof(IPv4Header);
        if (packet.Transport + sizeof(UdpHeader) > end || ((EthernetHeader*)data)->EtherType != EtherTypes.IPv4 || header->VersionIhl != 0x45 || header->IsFragment)
        {
            return false;
        }

        packet.Protocol = header->Protocol;
        packet.Source = IpAddress.FromRawIPv4(header->Source.Raw);
        packet.Destination = IpAddress.FromRawIPv4(header->Destination.Raw);
        return packet.HasPlainTransport(end);
    }

    /// <summary>As <see cref="TryParsePlain"/>, for IPv6 alone.</summary>
    public static bool TryParsePlainIPv6(byte* data, byte* end, out IpPacket packet)
    {
        packet = default;
        packet.IsIPv6 = true;
        var header = (IPv6Header*)(data + sizeof(EthernetHeader));
        packet.Network = (byte*)header;
        packet.Transport = packet.Network + sizeof(IPv6Header);
        if (packet.Transport + sizeof(UdpHeader) > end || ((EthernetHeader*)data)->EtherType != EtherTypes.IPv6 || !header->IsValid)
        {
            return false;
        }

        packet.Protocol = header->NextHeader;
        packet.Source = header->Source;
        packet.Destination = header->Destination;
        return !packet.Source.IsIPv4 && !packet.Destination.IsIPv4 && packet.HasPlainTransport(end);
    }

    private readonly bool HasPlainTransport(byte* end)
    {
        // UDP first: the verifier, which walks what comes first first, then finds TCP with its longer header to be no other case.
        if (Protocol == IpProtocol.Udp)
        {
            return true;
        }

        return Protocol == IpProtocol.Tcp && Transport + sizeof(TcpHeader) <= end;
    }

    /// <summary>Reads from the network header on, as for the packet that an ICMP error embeds. Usable in kernel programs.</summary>
    public static ParseStatus ParseNetwork(byte* network, byte* end, bool isIPv6, out IpPacket packet)
    {
        packet = default;
        return isIPv6 ? packet.ReadIPv6(network, end) : packet.ReadIPv4(network, end);
    }

    private static byte* Joined(byte* data, byte* end, byte* network) =>
        data + (nuint)(Verifier.Forget((ulong)(network - data), (ulong)(end - data)) & 0x1f);

    private static ParseStatus SkipTags(ref NetworkUInt16 type, ref byte* position, byte* end)
    {
        for (var i = 0; i < 2; i++)
        {
            if (type != EtherTypes.Vlan && type != EtherTypes.ServiceVlan)
            {
                return ParseStatus.NotIp;
            }

            var tag = (VlanTag*)position;
            if (position + sizeof(VlanTag) > end)
            {
                return ParseStatus.Truncated;
            }

            type = tag->EtherType;
            position += sizeof(VlanTag);
            if (type == EtherTypes.IPv4 || type == EtherTypes.IPv6)
            {
                return ParseStatus.Ip;
            }
        }

        return type == EtherTypes.Vlan || type == EtherTypes.ServiceVlan ? ParseStatus.Malformed : ParseStatus.NotIp;
    }

    private ParseStatus ReadIPv4(byte* network, byte* end)
    {
        var header = (IPv4Header*)network;
        if (network + sizeof(IPv4Header) > end)
        {
            return ParseStatus.Truncated;
        }

        if (!header->IsValid)
        {
            return ParseStatus.Malformed;
        }

        Network = network;
        Transport = network + header->HeaderLength;
        Source = IpAddress.FromRawIPv4(header->Source.Raw);
        Destination = IpAddress.FromRawIPv4(header->Destination.Raw);
        FragmentId = header->Identification.Raw;
        Protocol = header->Protocol;
        Fragment = header->Fragment;
        return ParseStatus.Ip;
    }

    private ParseStatus ReadIPv6(byte* network, byte* end)
    {
        var header = (IPv6Header*)network;
        if (network + sizeof(IPv6Header) > end)
        {
            return ParseStatus.Truncated;
        }

        if (!header->IsValid)
        {
            return ParseStatus.Malformed;
        }

        Network = network;
        IsIPv6 = true;
        Source = header->Source;
        Destination = header->Destination;
        if (Source.IsIPv4 || Destination.IsIPv4)
        {
            // Mapped addresses stand for IPv4 here. On the wire they have no business (the kernel refuses such senders too), and would pass for IPv4.
            return ParseStatus.Malformed;
        }

        Protocol = header->NextHeader;
        Transport = network + sizeof(IPv6Header);
        return IPv6ExtensionHeader.IsExtension(Protocol) ? SkipExtensions(end) : ParseStatus.Ip;
    }

    private ParseStatus SkipExtensions(byte* end)
    {
        var next = (uint)Protocol;
        var length = (ulong)sizeof(IPv6Header);
        var unknown = (ulong)(end - Network);
        var identification = 0u;
        var fragment = 0u;
        for (var i = 0; i < MaxExtensionHeaders; i++)
        {
            var position = Network + (nuint)length;
            if (position + IPv6FragmentHeader.Size > end)
            {
                return ParseStatus.Truncated;
            }

            // No branch by the kind of the header: whatever came before, one state for the verifier at each step.
            var isFragment = IPv6ExtensionHeader.AllBitsIf((IpProtocol)next, IpProtocol.Fragment);
            var header = (IPv6FragmentHeader*)position;
            identification = (identification & ~isFragment) | (header->Identification.Raw & isFragment);
            fragment = (fragment & ~isFragment) | ((uint)header->Fragment & isFragment);
            length = Verifier.Forget(length + ((IPv6ExtensionHeader*)position)->SizeAs((IpProtocol)next), unknown) & 0x3fff;
            next = (uint)header->NextHeader;
            if (fragment == (uint)FragmentKind.Later || !IPv6ExtensionHeader.IsExtension((IpProtocol)next))
            {
                Transport = Network + (nuint)length;
                Protocol = (IpProtocol)next;
                FragmentId = identification;
                Fragment = (FragmentKind)fragment;
                return ParseStatus.Ip;
            }
        }

        return ParseStatus.Malformed;
    }
}
