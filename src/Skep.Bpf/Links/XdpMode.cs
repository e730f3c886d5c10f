namespace Skep.Bpf.Links;

/// <summary>Where an XDP program runs (<c>XDP_FLAGS_*_MODE</c>).</summary>
public enum XdpMode : uint
{
    /// <summary>Native where the driver can, else generic.</summary>
    Auto = 0,
    /// <summary>In the network stack, after the socket buffer was made: any device, slower.</summary>
    Generic = 2,
    /// <summary>In the driver, before the socket buffer.</summary>
    Native = 4,
}
