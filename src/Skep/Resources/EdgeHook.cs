namespace Skep.Resources;

/// <summary>Where packets are taken from an interface (<c>spec.hook</c>).</summary>
public enum EdgeHook : byte
{
    /// <summary>XDP on physical devices, traffic control on virtual ones and where XDP is refused.</summary>
    Auto,
    /// <summary>XDP in the driver; traffic control where it is refused.</summary>
    Xdp,
    /// <summary>Traffic control.</summary>
    Tc,
}
