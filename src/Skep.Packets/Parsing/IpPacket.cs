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

    /// <summary>Identification that fragments of one packet share; 0 in an unfragmented IPv6 packet.</summary>
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
        var ethernet = (EthernetHeader*)data;
        if (data + sizeof(EthernetHeader) > end)
        {
            return ParseStatus.Truncated;
        }

        var type = ethernet->EtherType;
        var network = data + sizeof(EthernetHeader);
        if (type != EtherTypes.IPv4 && type != EtherTypes.IPv6)
        {
            var status = SkipTags(ref type, ref network, end);
            if (status != ParseStatus.Ip)
            {
                return status;
            }

            // One tag or two: the same from here on, for the verifier too.
            network = data + (nuint)(Verifier.Forget((ulong)(network - data), (ulong)(end - data)) & 0x1f);
        }

        return type == EtherTypes.IPv6 ? packet.ReadIPv6(network, end) : packet.ReadIPv4(network, end);
    }

    /// <summary>Reads from the network header on, as for the packet that an ICMP error embeds. Usable in kernel programs.</summary>
    public static ParseStatus ParseNetwork(byte* network, byte* end, bool isIPv6, out IpPacket packet)
    {
        packet = default;
        return isIPv6 ? packet.ReadIPv6(network, end) : packet.ReadIPv4(network, end);
    }

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
        var next = Protocol;
        var length = (ulong)sizeof(IPv6Header);
        var unknown = (ulong)(end - Network);
        for (var i = 0; i < MaxExtensionHeaders; i++)
        {
            var position = Network + (nuint)length;
            var extension = (IPv6ExtensionHeader*)position;
            if (position + IPv6FragmentHeader.Size > end)
            {
                return ParseStatus.Truncated;
            }

            // Whatever kinds and sizes of headers came before: one state for the verifier at each step.
            length = Verifier.Forget(length + extension->SizeAs(next), unknown) & 0x3fff;
            if (next == IpProtocol.Fragment)
            {
                var fragment = (IPv6FragmentHeader*)position;
                FragmentId = fragment->Identification.Raw;
                Fragment = fragment->Fragment;
            }

            next = extension->NextHeader;
            if (Fragment == FragmentKind.Later || !IPv6ExtensionHeader.IsExtension(next))
            {
                break;
            }
        }

        Transport = Network + (nuint)length;
        Protocol = next;
        return Fragment != FragmentKind.Later && IPv6ExtensionHeader.IsExtension(next) ? ParseStatus.Malformed : ParseStatus.Ip;
    }
}
