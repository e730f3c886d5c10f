namespace Skep.Fuzz;

/// <summary>The addresses that packets and configuration agree on (documentation ranges of RFC 5737 and RFC 3849).</summary>
public static class Scene
{
#pragma warning disable CS1591 // addresses with speaking names
    public const string Client = "198.51.100.7", Client6 = "2001:db8:c::7";
    public const string WebService = "192.0.2.10", WebService6 = "2001:db8::10";
    public const string NameService = "192.0.2.53", NameService6 = "2001:db8::53";
    public const string ShopService = "192.0.2.11";
    public const string EmptyService = "192.0.2.99";
    public const string BlockedAddress = "203.0.113.7", BlockedPrefix = "203.0.113.128/25", InBlockedPrefix = "203.0.113.200";
    public const string BlockedPrefix6 = "2001:db8:bad::/48", InBlockedPrefix6 = "2001:db8:bad::1";

    public static string[] Backends { get; } = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

    public static string[] Backends6 { get; } = ["fd00::1", "fd00::2"];
#pragma warning restore CS1591
}
