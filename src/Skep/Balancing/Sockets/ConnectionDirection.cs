namespace Skep.Balancing;

/// <summary>Which way messages of a socket go that an entry is about.</summary>
public enum ConnectionDirection : byte
{
    /// <summary>From the client: finds the backend.</summary>
    Forward,
    /// <summary>From the backend: finds the service.</summary>
    Reply,
}
