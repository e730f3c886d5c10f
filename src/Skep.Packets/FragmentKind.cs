namespace Skep.Packets;

/// <summary>Which part of an IP packet a frame carries.</summary>
public enum FragmentKind : byte
{
    /// <summary>All of it.</summary>
    None,
    /// <summary>The first fragment: transport header present.</summary>
    First,
    /// <summary>A later fragment: no transport header.</summary>
    Later,
}
