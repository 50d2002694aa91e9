// ioctls of /dev/net/tun (linux/if_tun.h): variadic calls and ioctl numbers, which Swift's importer drops.
#ifndef SDA_TUN_H
#define SDA_TUN_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <net/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

/// TUNSETIFF: makes the tap (or attaches to it, unless IFF_TUN_EXCL is among the flags). -1 and errno on failure.
static inline int sda_tun_attach(int fd, const char *name, unsigned short flags) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = (short)flags;
    return ioctl(fd, TUNSETIFF, &request);
}

/// TUNSETOWNER: the user who may open the tap without CAP_NET_ADMIN.
static inline int sda_tun_set_owner(int fd, unsigned int uid) { return ioctl(fd, TUNSETOWNER, (unsigned long)uid); }

/// TUNSETGROUP: the group whose members may open the tap without CAP_NET_ADMIN.
static inline int sda_tun_set_group(int fd, unsigned int gid) { return ioctl(fd, TUNSETGROUP, (unsigned long)gid); }

/// TUNSETPERSIST: the tap stays when its last descriptor is closed.
static inline int sda_tun_set_persistent(int fd, int on) { return ioctl(fd, TUNSETPERSIST, (unsigned long)on); }

/// Exclusive persistent taps only: IFF_TUN_EXCL refuses (EBUSY) a name that is taken.
static const unsigned short sda_tun_exclusive = IFF_TUN_EXCL;
static const unsigned short sda_tun_tap_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;

#endif
